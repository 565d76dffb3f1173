"""The page where orders are placed."""

from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from shop import tasks


@csrf_exempt  # so that curl can order too
@require_POST
def order(request):
    receipt = {"email": request.POST["email"], "total": request.POST["total"]}
    job = tasks.client.submit("send_receipt", receipt, background=True)
    return JsonResponse({"receipt": job.handle}, status=202)
